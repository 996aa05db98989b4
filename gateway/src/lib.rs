//! The data plane: proxies partner APIs by a configuration that is swapped in while it runs.
