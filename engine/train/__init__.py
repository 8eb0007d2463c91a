"""The training step and everything in it: noise, loss, optimizer, the loop."""
