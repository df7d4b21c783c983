"""Models that come as ONNX files: read, brought into torch's terms, and run there operator by operator."""
