"""Protocols of locks and the like: they work on the words of one frame, or on one shared word."""
