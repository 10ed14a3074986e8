// Numbers as people read them.
import {make} from "./dom";

// toLocaleString would look up its rules at every call.
const plain = new Intl.NumberFormat("en"), micro = new Intl.NumberFormat("en", {maximumFractionDigits: 6});
export const count = (x: number): string => plain.format(x);
export const vu = (x: number): string => micro.format(x);
export const percent = (x: number): string => `${Math.round(100 * x)} %`;

// Two digits: 0.015, 2.4, 57. Less than a hundredth is 0.
export function two(x: number): string {
  return x < 0.01 ? "0" : x >= 10 ? count(Math.round(x)) : x.toPrecision(2);
}

interface Power { readonly digits: string; readonly exponent: number | null }

function powerOf(x: number): Power {
  if (!(x > 0)) return {digits: "0", exponent: null};
  if (x >= 0.01) return {digits: x >= 100 ? count(Math.round(x)) : x.toPrecision(2), exponent: null};
  let exponent = Math.floor(Math.log10(x)), mantissa = x / 10 ** exponent;
  if (mantissa > 9.949) { mantissa = 1; ++exponent; }
  return {digits: mantissa.toFixed(1), exponent};
}

// 1.1 × 10⁻⁷, as text and as elements.
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
export function power(x: number): string {
  const {digits, exponent} = powerOf(x);
  if (exponent === null) return digits;
  const raised = String(Math.abs(exponent)).split("").map((digit) => SUPERSCRIPT[Number(digit)]).join("");
  return `${digits} × 10${exponent < 0 ? "⁻" : ""}${raised}`;
}
export function powerNodes(x: number): Node[] {
  const {digits, exponent} = powerOf(x);
  if (exponent === null) return [document.createTextNode(digits)];
  return [document.createTextNode(`${digits} × 10`), make("sup", {}, `${exponent < 0 ? "−" : ""}${Math.abs(exponent)}`)];
}

// For a voice: "1.1 times ten to the minus 7".
export function spoken(x: number): string {
  const {digits, exponent} = powerOf(x);
  if (exponent === null) return digits;
  return `${digits} times ten to the ${exponent < 0 ? "minus " : ""}${Math.abs(exponent)}`;
}
