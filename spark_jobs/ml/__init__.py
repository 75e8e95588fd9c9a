"""Training and scoring as of one moment: a run is a pure function of it, the events before it and this code."""
