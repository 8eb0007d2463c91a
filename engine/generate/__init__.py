"""Pictures from prompts: kohya prompt lines, the sampler, comparison sheets."""
