//! Every test that needs running programs, one module per feature, in one binary as linking is what takes time.
