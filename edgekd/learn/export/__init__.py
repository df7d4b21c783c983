"""From a torch model to ONNX."""
