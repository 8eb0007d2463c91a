"""The base model: any SDXL source becomes one bundle of diffusers' and transformers' own modules."""
