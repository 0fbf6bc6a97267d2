"""Commands that look into a running ensemble: topic, node, service, param, doctor, top."""
