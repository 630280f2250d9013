// Photos to try the page with: files in samples/, a mask and words that suit them. (Licences: samples/README.md.)
export const samples = [];
