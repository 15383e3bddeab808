"""The toys' rows of the zoo."""

from ptheta.models.zoo import Family

TOYS = {
    row.name: row
    for row in [
        Family("toy_vae", "toy_vae:ToyVAE", "lower bound", "discrete or real", "a small VAE", "Kingma & Welling 2014",
               {"width": 12}),
        Family("toy_gan", "toy_gan:ToyGAN", "implicit", "discrete or real", "a small GAN", "Goodfellow et al. 2014",
               {"width": 12}),
        Family("toy_blend", "toy_blend:ToyBlend", "exact", "discrete", "a mixture of two models", "its definition"),
    ]
}  # fmt: skip
