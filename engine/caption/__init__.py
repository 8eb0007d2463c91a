"""Automatic captions: captioners behind one small protocol, and the job that writes what they say."""
