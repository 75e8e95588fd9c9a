"""Training and scoring as of one moment: a run is a pure function of that moment, the events before it and this code."""
