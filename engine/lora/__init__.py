"""The LoRA itself: attached to the U-Net through PEFT, held in two flat buffers, written in sd-scripts' file format."""
