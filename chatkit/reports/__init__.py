"""What the books say, as tables, figures and forecasts."""
