// The words of the page that stands in for one that is not here.
export const html = {
  title: "Not here · LVS",
  heading: "This page is not here.\nThe others agree on that.",
  lead: "The address is wrong, or the page has moved. *Nothing else is lost.*",
  picture: "A crowd of points that agree, and one far outside that is labelled you.",
  playground: "To the playground",
  home: "To the network",
};
export const texts = {you: "you"};
