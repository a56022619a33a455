"""Volume files, the subtomogram-set file, preprocessing, legal views. No Keras, no mlflow."""
