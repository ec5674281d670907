"""The tab in the webui: its routes, and what stands behind them. Its looks are in javascript/ and style.css."""
