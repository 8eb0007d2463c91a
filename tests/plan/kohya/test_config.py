"""sd-scripts' configuration, dataset and prompts, after semantics.md 1.2, 1.5, 1.10 to 1.14 and 1.21."""

from __future__ import annotations

import pytest

from engine.plan.settings import resolve

CONFIG = """
pretrained_model_name_or_path = "/x/base.safetensors"
output_dir = "out"

[network]
network_module = "networks.lora"
network_dim = 32
network_alpha = 16
network_args = ["conv_dim=8", "conv_alpha=4", "rank_dropout=0.1"]
network_train_unet_only = true

[learning]
optimizer_type = "AdamW8bit"
learning_rate = 1e-4
lr_scheduler = "cosine"
lr_warmup_steps = 0.05
max_train_epochs = 12

[data]
train_data_dir = "img"
resolution = "1024,1024"
train_batch_size = 2
enable_bucket = true
caption_extension = ".txt"
sdpa = true
"""


def test_sections_are_flattened_and_sd_scripts_defaults_hold(read):
    found = read("config.toml", CONFIG)
    settings = resolve(found.settings)
    assert (settings.network_dim, settings.network_alpha) == (32, 16.0)
    assert (settings.conv_dim, settings.conv_alpha, settings.rank_dropout) == (8, 4.0, 0.1)
    assert (settings.optimizer_type, settings.optimizer_args, settings.learning_rate) == ("AdamW8bit", (), 1e-4)
    assert (settings.lr_scheduler, settings.lr_warmup_steps, settings.max_train_epochs) == ("cosine", 0.05, 12)
    assert (settings.train_unet, settings.train_text_encoder_1) == (True, False)
    # What the file does not say: sd-scripts' own, not ours.
    assert (settings.noise_offset, settings.scale_weight_norms, settings.min_snr_gamma) == (0.0, 0.0, 0.0)
    assert (settings.caption_dropout_rate, settings.max_bucket_reso, settings.bucket_reso_steps) == (0.0, 1024, 64)
    assert (settings.mixed_precision, settings.save_precision) == ("no", "float")
    assert settings.caption_extension == ".txt"
    assert "seed" not in found.settings
    assert {found.why(key) for key in ("pretrained_model_name_or_path", "output_dir", "train_data_dir")} == {"project"}


def test_everything_is_trained_unless_told_otherwise(read):
    settings = resolve(read("c.toml", "network_dim = 8\nlearning_rate = 1e-4\nmax_train_epochs = 1").settings)
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == (True, True, True)


def test_a_rate_of_zero_skips_that_part(read):
    found = read("c.toml", "network_dim = 8\nunet_lr = 1e-4\ntext_encoder_lr = 0\nmax_train_epochs = 1")
    settings = resolve(found.settings)
    assert (settings.train_unet, settings.train_text_encoder_1, settings.train_text_encoder_2) == (True, False, False)
    assert found.why("text_encoder_lr") == "unset"


def test_of_two_text_rates_the_first_holds_as_there(read):
    found = read("c.toml", "network_dim = 8\ntext_encoder_lr = [1e-5, 2e-5]\nmax_train_epochs = 1")
    assert found.settings["text_encoder_lr"] == "1e-05"
    assert "first" in found.carried["text_encoder_lr"].note
    assert found.settings["train_text_encoder_2"] is True


@pytest.mark.parametrize(("text", "epochs"), [("max_train_steps = 1600", 2), ("", 2), ("max_train_steps = 10", 1)])
def test_steps_become_the_nearest_epochs(read, text, epochs):
    found = read("c.toml", f"network_dim = 8\n{text}\n", 750)
    assert found.settings["max_train_epochs"] == epochs
    assert "kohya-max-train-steps" in found.codes


def test_without_a_project_steps_are_not_turned_into_epochs(read):
    found = read("c.toml", "network_dim = 8\nmax_train_steps = 1600\n")
    assert "max_train_epochs" not in found.settings
    assert found.why("max_train_steps") == "differs"


def test_epochs_go_over_steps(read):
    found = read("c.toml", "network_dim = 8\nmax_train_steps = 1600\nmax_train_epochs = 9", 750)
    assert found.settings["max_train_epochs"] == 9
    assert found.why("max_train_steps") == "inert"


@pytest.mark.parametrize(
    ("module", "arguments", "name"),
    [
        ("lycoris.kohya", '["algo=loha"]', "LyCORIS/LoHa"),
        ("lycoris.kohya", '["algo=lokr", "factor=8"]', "LyCORIS/LoKr"),
        ("networks.dylora", "[]", "DyLoRA"),
        ("networks.oft", "[]", "OFT"),
        ("networks.mystery", "[]", "networks.mystery"),
    ],
)
def test_other_networks_are_named(read, module, arguments, name):
    found = read("c.toml", f'network_module = "{module}"\nnetwork_args = {arguments}\nnetwork_dim = 8')
    assert name in found.findings["kohya-lora-type"].message


def test_ranks_of_another_network_are_left_out_and_not_said_to_be_missing(read):
    arguments = '["algo=lokr", "conv_dim=8", "conv_alpha=4", "rank_dropout=0.1"]'
    found = read("c.toml", f'network_module = "lycoris.kohya"\nnetwork_args = {arguments}\nnetwork_dim = 8')
    assert found.why("network_args: conv_dim") == "unsupported"
    assert not {"network_dim", "network_alpha", "conv_dim", "conv_alpha", "rank_dropout"} & found.settings.keys()


def test_arguments_of_a_network_that_are_not_there_are_told(read):
    text = 'network_dim = 8\nnetwork_args = ["loraplus_lr_ratio=16", "block_dims=1,2", "odd", "what=1"]'
    found = read("c.toml", text)
    assert found.why("network_args: loraplus_lr_ratio") == "unsupported"
    assert found.why("network_args: odd") == "bad-value"
    assert found.why("network_args: what") == "unknown"


DATASET = """
[general]
shuffle_caption = true
keep_tokens = 1
caption_extension = ".txt"

[[datasets]]
resolution = [1024, 1024]
batch_size = 4
enable_bucket = true
bucket_no_upscale = true

  [[datasets.subsets]]
  image_dir = "/x/../../etc/25_ohwx man"
  class_tokens = "ohwx man"
  num_repeats = 25
  flip_aug = true
  caption_dropout_rate = 0.1

  [[datasets.subsets]]
  image_dir = "/x/1_man"
  is_reg = true
  num_repeats = 1
  shuffle_caption = false
  caption_dropout_rate = 0.2
"""


def test_a_dataset_file_gives_what_all_pictures_share(read):
    found = read("data.toml", DATASET)
    assert found.outcome.kind == "a dataset file of sd-scripts"
    assert found.settings == {
        "shuffle_caption": True,
        "keep_tokens": 1,
        "caption_extension": ".txt",
        "resolution": "1024,1024",
        "train_batch_size": 4,
        "enable_bucket": True,
        "bucket_no_upscale": True,
        "flip_aug": True,
        "caption_dropout_rate": 0.1,
    }
    assert {found.why(key) for key in ("image_dir", "num_repeats", "class_tokens", "is_reg")} == {"project"}
    assert "kohya-reg-differs" in found.codes


def test_what_differs_between_folders_is_left_out(read):
    other = '\n[[datasets]]\nresolution = 768\nbatch_size = 4\n[[datasets.subsets]]\nimage_dir = "b"\n'
    found = read("data.toml", DATASET + other)
    assert found.why("resolution") == "differs"
    assert found.settings["train_batch_size"] == 4
    assert found.why("flip_aug") == "differs"


def test_a_dataset_file_as_json(read):
    found = read("data.json", '{"general": {"flip_aug": true}, "datasets": [{"batch_size": 3, "subsets": []}]}')
    assert found.settings == {"flip_aug": True, "train_batch_size": 3}


def test_files_beside_a_configuration_are_read_with_it(read, tmp_path):
    (tmp_path / "data.toml").write_text(DATASET)
    (tmp_path / "p.txt").write_text("# one\nohwx, a man --w 1024 --h 768\n")
    found = read(
        "c.toml",
        'network_dim = 8\ndataset_config = "D:\\\\kohya\\\\data.toml"\n'
        'sample_prompts = "/y/p.txt"\nmax_train_epochs = 3',
    )
    assert found.settings["train_batch_size"] == 4
    assert found.settings["sample_prompts"] == ["ohwx, a man --w 1024 --h 768"]
    assert found.settings["bucket_reso_steps"] == 64  # sd-scripts' default, now that the dataset file is known


def test_a_configuration_whose_dataset_file_is_elsewhere_says_so(read):
    found = read("c.toml", 'network_dim = 8\ndataset_config = "../secret/data.toml"\nmax_train_epochs = 3')
    assert "kohya-dataset-elsewhere" in found.codes
    assert "bucket_reso_steps" not in found.settings


@pytest.mark.parametrize("path", ["/y/gone.txt", "gone.toml", "/etc/passwd", "~/words", "./w", "../w", "C:\\w", "d:/w"])
def test_prompts_that_are_elsewhere_are_told_and_no_path_is_a_prompt(read, path):
    found = read("c.toml", f"network_dim = 8\nsample_prompts = '{path}'\nmax_train_epochs = 3")
    assert "sample_prompts" not in found.settings
    assert found.why("sample_prompts") == "project"
    assert found.findings["kohya-prompts-elsewhere"].level == "warning"
    assert path in found.findings["kohya-prompts-elsewhere"].message


@pytest.mark.parametrize("prompt", ["ohwx", "/ohwx a man/", "~ a wave ~", "a: b", "...", "ohwx, 1/2 body"])
def test_what_only_begins_like_a_path_is_a_prompt(read, prompt):
    found = read("c.toml", f"network_dim = 8\nsample_prompts = '{prompt}'\nmax_train_epochs = 3")
    assert found.settings["sample_prompts"] == [prompt]


def test_files_beside_are_never_links_to_elsewhere(read, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "p.txt").write_text("a secret\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "p.txt").symlink_to(outside / "p.txt")
    found = read("inside/c.toml", 'network_dim = 8\nsample_prompts = "p.txt"\nmax_train_epochs = 3')
    assert "sample_prompts" not in found.settings
    assert "secret" not in repr(found.outcome)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "# a comment\nohwx --w 1024 --h 1024\n"),
        ("p.json", '[{"prompt": "ohwx", "width": 1024, "height": 1024}]'),
        ("p.toml", '[prompt]\nwidth = 1024\nheight = 1024\n[[prompt.subset]]\nprompt = "ohwx"\n'),
    ],
)
def test_prompts_in_every_form(read, name, text):
    assert read(name, text).settings == {"sample_prompts": ["ohwx --w 1024 --h 1024"]}


def test_own_settings_are_read_as_they_are(read):
    found = read("p.toml", '[project]\nname = "x"\n[settings]\nnetwork_dim = 8\nvae = "/x"\nuse_ema = true\nodd = 1\n')
    assert found.settings == {"network_dim": 8, "use_ema": True}
    assert (found.why("vae"), found.why("odd")) == ("project", "unknown")
