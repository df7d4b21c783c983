"""What a finished run says: result.json, report.md, the plots, the model card. Imports no torch."""
