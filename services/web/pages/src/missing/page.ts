// Whoever asks for a page that is not here is the one point that is not with the others.
import {$} from "../shared/dom";
import {emptyPoints, Kind, noLinks} from "../shared/swarm/look";
import {Swarm} from "../shared/swarm/swarm";
import {onColours, themeButton} from "../shared/theme_button";
import {texts} from "./texts";

const POINTS = 240, GROUPS = 3, RANGE = 200, LOST = 0;

const swarm = new Swarm($<HTMLCanvasElement>("swarm"));
const points = emptyPoints(POINTS);
for (let slot = 0; slot < POINTS; ++slot) {
  points.kind[slot] = Kind.member;
  points.group[slot] = slot % GROUPS;
  points.age[slot] = 1;
  points.x[slot] = points.y[slot] = RANGE / 2;
}
points.x[LOST] += 41;
points.y[LOST] -= 23;
swarm.begin({groups: GROUPS, mine: [LOST], label: texts.you, range: RANGE});
swarm.setPlane(false, true);
swarm.show({cycle: 0, points, links: noLinks}, {moved: false});
swarm.settle();
onColours(() => swarm.recolour());
themeButton($<HTMLButtonElement>("theme"));
