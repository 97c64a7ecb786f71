/** Pages of Markdown, made up of common words; the same ones in each run. */
const words =
  'the of and a to in is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(
    ' ',
  );

export function documents(count: number): string[] {
  const random = numbers();
  return Array.from({ length: count }, (_, n) => document(n, random));
}

function document(n: number, random: () => number): string {
  const sentence = (length: number) =>
    Array.from({ length }, () => words[Math.floor(random() * words.length)] ?? '').join(' ');
  const sections = Array.from({ length: 4 + Math.floor(random() * 5) }, (_, section) =>
    [
      `## ${section + 1}. ${sentence(4)}`,
      `${sentence(40)}, **${sentence(3)}** and *${sentence(2)}*, see [${sentence(2)}](https://example.com/${n}/${section}).`,
      Array.from({ length: 4 }, () => `- ${sentence(8)} \`${sentence(1)}\``).join('\n'),
      `| ${sentence(1)} | ${sentence(1)} |\n| --- | --- |\n| ${sentence(3)} | ${sentence(3)} |`,
      `\`\`\`js\nconst ${sentence(1)} = ${Math.floor(random() * 1_000)};\n\`\`\``,
      `> ${sentence(25)}`,
    ].join('\n\n'),
  );
  return [`# ${sentence(5)}`, ...sections].join('\n\n');
}

/** From 0 to 1, always the same ones. */
function numbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
