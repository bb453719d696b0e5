//! Short lists of steps, each about one rule. The model judges them, so a list holds no expectations of its own.
