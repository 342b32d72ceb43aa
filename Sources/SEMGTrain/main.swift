print("semg-train")
