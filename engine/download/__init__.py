"""Base models from elsewhere: one file by its URL, or a model's folder from Hugging Face."""
