"""What a member does in several transactions and waits: enter, wait, let go, reap, fork."""
