"""The parts of Tools/powercut: a recorded disk, what was promised, and what a cut left of it."""
