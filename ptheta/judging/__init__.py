"""How good a conditional model is: nats gained by the context, and the metric of its task beside trivial baselines."""
