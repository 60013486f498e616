"""Getting words to other people's servers without standing in anyone's way."""
