"""The run folder: the only thing the engine and its watchers share. No torch, no numpy.

`folder` and `job` lay it out, `events` writes and tails its log, `fold` sums the log up, `lock` tells whether an engine
is alive, `state` puts both into one word, `control` carries commands to the engine, `launch` starts it.
"""
