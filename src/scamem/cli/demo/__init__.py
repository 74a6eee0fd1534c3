"""`scamem demo`: a real table on scattered memory, workers that share it, one killed at work.

`story` tells it from beginning to end; `table` reads the data, `summary` is the work, `worker` and
`crew` are the two ends of a pipe, `transports` and `timing` compare with other ways, `picture`
draws the arena.
"""
