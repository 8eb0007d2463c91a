"""The table of kohya's keys: which are options here under the same name, and which are not carried over, and why."""

from __future__ import annotations

from engine.plan.kohya.outcome import Why
from engine.plan.kohya.plain import names

SAME: frozenset[str] = names(
    """
    train_batch_size gradient_accumulation_steps save_every_n_epochs save_every_n_steps save_last_n_epochs
    save_last_n_steps mixed_precision save_precision gradient_checkpointing max_grad_norm caption_extension
    caption_prefix caption_suffix caption_dropout_rate caption_dropout_every_n_epochs shuffle_caption keep_tokens
    keep_tokens_separator caption_tag_dropout_rate caption_separator secondary_separator enable_wildcard
    cache_text_encoder_outputs max_token_length weighted_captions resolution enable_bucket bucket_no_upscale
    bucket_reso_steps min_bucket_reso max_bucket_reso flip_aug alpha_mask cache_latents max_data_loader_n_workers
    network_dim network_alpha network_dropout scale_weight_norms noise_offset noise_offset_random_strength
    adaptive_noise_scale multires_noise_iterations multires_noise_discount ip_noise_gamma
    ip_noise_gamma_random_strength min_timestep max_timestep v_parameterization zero_terminal_snr loss_type
    huber_schedule huber_c huber_scale min_snr_gamma debiased_estimation_loss scale_v_pred_loss_like_noise_pred
    v_pred_like_loss prior_loss_weight validation_split validation_seed validate_every_n_epochs
    validate_every_n_steps sample_every_n_steps sample_every_n_epochs sample_at_first seed
    pretrained_model_name_or_path vae output_name training_comment network_weights
    """
)
"""sd-scripts' arguments that are options here under the same name and with the same meaning."""

_PATH = "a path of that machine; this project has its own"
_STATE = "checkpoints of a training are always kept here (checkpoint_every_n_steps, keep_last_n_checkpoints)"
_SPEED = "only how fast it goes, and here it is done without being asked"
_FLOW = "is for Flux, SD3 and other models, not for SDXL"
_HUB = "nothing is uploaded here"
_LOG = "a run keeps its own log; no other program is told of it"
_TEXT = "no such field is written into a LoRA here"
_START = "how accelerate starts it; here that follows from the GPUs"
_NO_OPTION = "sd-scripts' LoRA training has no such option"

_REASONS: dict[tuple[Why, str], str] = {
    (
        "project",
        _PATH,
    ): "train_data_dir reg_data_dir in_json dataset_config conditioning_data_dir train_dir image_folder",
    ("project", "LoRAs go to the folders of the project"): "output_dir",
    ("project", "a training here goes on from its own run: resume"): "resume initial_epoch initial_step "
    "skip_until_initial_step",
    ("project", "folders have their repeats in their names, or on step 1"): "dataset_repeats",
    ("always", "the VAE always works in full precision here"): "no_half_vae",
    ("always", "what is cached lies on the disk, and is checked by its content"): "cache_latents_to_disk "
    "cache_text_encoder_outputs_to_disk skip_cache_check",
    ("always", _STATE): "save_state save_state_on_train_end save_last_n_epochs_state save_last_n_steps_state",
    ("always", _SPEED): "vae_batch_size persistent_data_loader_workers lowram highvram lowvram text_encoder_batch_size "
    "disable_mmap_load_safetensors cache_info",
    ("always", "LoRAs are always .safetensors"): "save_model_as use_safetensors",
    ("always", "the metadata is always written"): "no_metadata",
    ("always", "SDXL needs no clip skip, and sd-scripts does not use it there"): "clip_skip",
    ("inert", _NO_OPTION): "stop_text_encoder_training stop_text_encoder_training_pct no_token_padding epoch "
    "noise_offset_type fused_backward_pass fused_optimizer_groups blockwise_fused_optimizers train_text_encoder "
    "network_multiplier block_lr",
    (
        "unsupported",
        "LoRA weights in half precision lose small changes; here they are exact",
    ): "full_fp16 full_bf16",
    ("unsupported", "colours of pictures are not changed"): "color_aug",
    ("unsupported", "pictures are cropped in the middle, always the same"): "random_crop face_crop_aug_range",
    ("unsupported", "only masks in the picture itself (alpha_mask) are there"): "masked_loss",
    ("unsupported", "training for inpainting is not there"): "train_inpainting",
    ("unsupported", "pictures are shrunk by area and enlarged by Lanczos, sd-scripts' own way"): "resize_interpolation",
    ("unsupported", "the length of captions does not grow while it learns"): "token_warmup_min token_warmup_step",
    ("unsupported", "a class of a schedule cannot be named"): "lr_scheduler_type",
    ("unsupported", "name it in lr_scheduler_args, as timescale=…"): "lr_scheduler_timescale",
    ("unsupported", "no LoRAs are merged into the base model first"): "base_weights base_weights_multiplier",
    ("unsupported", "set network_dim to the rank of that LoRA"): "dim_from_weights",
    ("unsupported", "the model is not compiled"): "torch_compile dynamo_backend dynamo_mode dynamo_use_fullgraph "
    "dynamo_use_dynamic",
    ("unsupported", "all kept-out pictures are looked at"): "max_validation_steps",
    ("unsupported", "sharing a model over several machines or GPUs is not there"): "deepspeed zero_stage "
    "offload_optimizer_device offload_optimizer_nvme_path offload_param_device offload_param_nvme_path "
    "zero3_init_flag zero3_save_16bit_model fp16_master_weights_and_gradients",
    ("unsupported", "a training is as long as its epochs"): "save_n_epoch_ratio",
    ("unsupported", "activations are not moved to the memory of the computer"): "cpu_offload_checkpointing",
    ("unsupported", "no class of pictures can be named"): "dataset_class",
    ("unsupported", "what is held to the base model is diff_output_preservation_multiplier here"): "custom_attributes",
    ("program", _HUB): "huggingface_repo_id huggingface_token huggingface_repo_type huggingface_repo_visibility "
    "huggingface_path_in_repo save_state_to_huggingface resume_from_huggingface async_upload",
    ("program", _LOG): "logging_dir log_with log_prefix log_tracker_name log_tracker_config log_config wandb_api_key "
    "wandb_run_name use_wandb console_log_level console_log_file console_log_simple",
    ("program", _TEXT): "metadata_title metadata_author metadata_description metadata_license metadata_tags "
    "metadata_usage_hint metadata_thumbnail metadata_merged_from metadata_trigger_phrase metadata_preprocessor "
    "metadata_is_negative_embedding",
    ("program", _START): "num_cpu_threads_per_process num_processes num_machines multi_gpu gpu_ids main_process_port "
    "extra_accelerate_launch_args ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph",
    (
        "program",
        "a field of the window",
    ): "model_list save_as_bool file_path save_as training_preset sdxl "
    "sdxl_checkbox "
    "config_file output_config tokenizer_cache_dir debug_dataset headless print_only create_caption create_buckets "
    "caption_metadata_filename latent_metadata_filename full_path use_latent_files use_shell",
    ("model", "is for Stable Diffusion 2"): "v2",
    ("model", _FLOW): "weighting_scheme logit_mean logit_std mode_scale blocks_to_swap flux1_checkbox sd3_checkbox "
    "hunyuan_image_checkbox anima_checkbox lumina_checkbox model_type ae clip_l clip_g t5xxl t5xxl_lr "
    "discrete_flow_shift model_prediction_type timestep_sampling sigmoid_scale split_mode train_blocks "
    "t5xxl_max_token_length enable_all_linear guidance_scale mem_eff_save apply_t5_attn_mask split_qkv train_t5xxl "
    "single_blocks_to_swap double_blocks_to_swap show_timesteps show_timesteps_resolution img_attn_dim img_mlp_dim "
    "img_mod_dim single_dim txt_attn_dim txt_mlp_dim txt_mod_dim single_mod_dim in_dims train_double_block_indices "
    "train_single_block_indices clip_g_dropout_rate clip_l_dropout_rate pos_emb_random_crop_rate save_clip save_t5xxl "
    "t5_dropout_rate t5xxl_device t5xxl_dtype enable_scaled_pos_embed train_lora_ggpo ggpo_sigma ggpo_beta",
    ("model", "is for DreamBooth, fine-tuning or embeddings, not for a LoRA"): "learning_rate_te learning_rate_te1 "
    "learning_rate_te2 num_vectors_per_token token_string init_word template weights",
}

LEFT_OUT: dict[str, tuple[Why, str]] = {
    key: (why, reason) for (why, reason), keys in _REASONS.items() for key in keys.split()
}
"""Keys that are never carried over: why, and the reason in words."""

_MODELS = ("flux_", "flux1_", "sd3_", "hunyuan_", "anima_", "lumina_")

OF_OTHER_LORAS = names(
    """
    factor bypass_mode dora_wd use_cp use_tucker use_scalar rank_dropout_scale constrain constraint rescaled
    train_norm decompose_both train_on_input unit LyCORIS_preset algo preset block_size full_matrix weight_decompose
    wd_on_output rs_lora unbalanced_factorization use_conv_cp
    """
)
"""Keys that only LyCORIS and DyLoRA have."""

OF_BLOCKS = names(
    """
    down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold block_dims block_alphas conv_block_dims
    conv_block_alphas conv_dims conv_alphas loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio
    split_qkv train_double_block_indices verbose
    """
)
"""Keys that give blocks of the model, or the two halves of a LoRA, a rank or a rate of their own."""

OLD_NAMES = {
    "caption_extention": "caption_extension",
    "lora_network_weights": "network_weights",
    "sdxl_no_half_vae": "no_half_vae",
    "sdxl_cache_text_encoder_outputs": "cache_text_encoder_outputs",
    "max_resolution": "resolution",
    "optimizer": "optimizer_type",
    "batch_size": "train_batch_size",
    "v_pred": "v_parameterization",
}
"""Other spellings, of older versions and of kohya_ss' window, of sd-scripts' arguments."""


def left_out(key: str) -> tuple[Why, str] | None:
    """Why a key is never carried over, and the reason; None for all others."""
    if key in LEFT_OUT:
        return LEFT_OUT[key]
    return ("model", _FLOW) if key.startswith(_MODELS) else None
