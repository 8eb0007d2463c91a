"""The files of kohya's programs: settings read from them, and written for them.

What is read: saves of kohya_ss' window (.json), sd-scripts' configuration, dataset and prompts (.toml, .txt, .json),
and the metadata of a LoRA (.safetensors). `opening` reads a file and says what it is; `gui`, `config_file`,
`dataset_file` and `lora_file` turn each into sd-scripts' arguments; `arguments` turns those into our settings, by the
table in `keys`; `exporting` writes. Nothing here touches a project.
"""
