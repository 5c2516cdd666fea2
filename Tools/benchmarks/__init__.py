"""The parts of Tools/bench."""
