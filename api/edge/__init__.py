"""Gateways that stand apart and the centre, over an MQTT 5 broker."""
