// Photos to try the page with, each with a mask and words that suit it (samples/README.md has their licences).
export const samples = [
  { photo: "cup-256.jpg", mask: "cup-256-mask.png", prompt: "a red apple" },
  { photo: "night-256.jpg", mask: "night-256-mask.png", prompt: "the moon" },
];
