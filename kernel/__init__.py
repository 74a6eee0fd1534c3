"""`struct scamem` as a patch of Linux, and its drive: get, patch, build, boot, compare."""
