/** Dates as ctime(3) writes them: From_ lines, log lines. */

/** `Sat Nov 21 09:00:00 2026`, local time. */
export function asctime(date: Date): string {
  const [week, month, day, year] = date.toDateString().split(' ');
  const clock = date.toTimeString().slice(0, 8);
  return `${week} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}
