"""Volume files, the set file, preprocessing, views, augmentation. No Keras, no mlflow."""
