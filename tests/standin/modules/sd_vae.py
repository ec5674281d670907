vae_dict = {}
loaded_vae_file = None
