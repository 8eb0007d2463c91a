import logging

# bitsandbytes says at import, to whoever runs it on a processor, that a package is missing which nobody here needs.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
