# Compiled for speed alone: nothing of it is called from C, and it takes any buffer of words.
