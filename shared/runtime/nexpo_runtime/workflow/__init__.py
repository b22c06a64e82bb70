"""Operations: what an author of workflows uses, and the engines that run them."""
