"""Executable models of the designs that the mail weighs; imports nothing of scamem."""
