"""What a Keras model is made of: inputs, outputs, named layers, the trace of one trial run, selected layers."""
