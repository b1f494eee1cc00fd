"""Images on disk and in memory: reading, MATLAB's bicubic resize, luma. Shared by training and evaluation."""
