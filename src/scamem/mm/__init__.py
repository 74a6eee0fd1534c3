"""The linux-mm mail's words, as functions and classes."""
