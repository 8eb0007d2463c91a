"""What sdxl_train_network.py (v0.10, 48d368f) takes in a configuration, as far as is written here: name and type.

Read from its calls of add_argument. Switches are bool; several types: any of them; a list has the type of its items.
"""

from __future__ import annotations

from engine.plan.kohya.plain import names

SWITCHES = names(
    """
    v_parameterization fp8_base fp8_base_unet sdpa xformers gradient_checkpointing network_train_unet_only
    network_train_text_encoder_only no_half_vae noise_offset_random_strength ip_noise_gamma_random_strength
    zero_terminal_snr sample_at_first cache_text_encoder_outputs shuffle_caption enable_wildcard flip_aug
    cache_latents enable_bucket bucket_no_upscale alpha_mask scale_v_pred_loss_like_noise_pred
    debiased_estimation_loss weighted_captions
    """
)
WHOLE = names(
    """
    lr_scheduler_num_cycles save_every_n_epochs save_every_n_steps save_last_n_epochs save_last_n_steps
    train_batch_size max_token_length max_train_epochs max_data_loader_n_workers seed gradient_accumulation_steps
    multires_noise_iterations min_timestep max_timestep sample_every_n_steps sample_every_n_epochs keep_tokens
    min_bucket_reso max_bucket_reso bucket_reso_steps network_dim validation_seed validate_every_n_steps
    validate_every_n_epochs caption_dropout_every_n_epochs
    """
)
NUMBERS = names(
    """
    learning_rate lr_scheduler_power lr_scheduler_min_lr_ratio max_grad_norm noise_offset ip_noise_gamma
    multires_noise_discount adaptive_noise_scale huber_c huber_scale prior_loss_weight caption_dropout_rate
    caption_tag_dropout_rate network_alpha network_dropout scale_weight_norms validation_split min_snr_gamma
    v_pred_like_loss unet_lr lr_warmup_steps lr_decay_steps
    """
)
TEXTS = names(
    """
    pretrained_model_name_or_path optimizer_type lr_scheduler output_name output_dir save_precision vae mixed_precision
    loss_type huber_schedule sample_prompts sample_sampler caption_separator caption_extension keep_tokens_separator
    secondary_separator caption_prefix caption_suffix resolution network_weights network_module training_comment
    dataset_config
    """
)
LISTS = {"optimizer_args": str, "lr_scheduler_args": str, "network_args": str, "text_encoder_lr": float}

TYPES: dict[str, tuple[type, ...]] = (
    dict.fromkeys(SWITCHES, (bool,))
    | dict.fromkeys(WHOLE, (int,))
    | dict.fromkeys(NUMBERS, (float, int))
    | dict.fromkeys(TEXTS, (str,))
    | dict.fromkeys(LISTS, (list,))
)

GENERAL = {
    "flip_aug": bool, "shuffle_caption": bool, "keep_tokens": int, "keep_tokens_separator": str,
    "secondary_separator": str, "caption_separator": str, "enable_wildcard": bool, "caption_prefix": str,
    "caption_suffix": str, "caption_dropout_every_n_epochs": int, "caption_dropout_rate": (float, int),
    "caption_tag_dropout_rate": (float, int), "caption_extension": str,
}  # fmt: skip
DATASET = {
    "batch_size": int, "bucket_no_upscale": bool, "bucket_reso_steps": int, "enable_bucket": bool,
    "max_bucket_reso": int, "min_bucket_reso": int, "validation_seed": int, "validation_split": float,
    "resolution": list, "subsets": list,
}  # fmt: skip
SUBSET = {"image_dir": str, "num_repeats": int, "class_tokens": str, "is_reg": bool, "alpha_mask": bool}
"""Of a dataset file (`config_util.ConfigSanitizer`), which takes nothing else and no other types."""
