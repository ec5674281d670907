"""The tab in the webui: its routes and the code behind them. The front end is in javascript/ and style.css."""
