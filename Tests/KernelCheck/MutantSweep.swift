import ArgumentParser
import Foundation

/// Judges mutants of the kernels that lie in one program, each behind a comparison with a number at
/// a fixed address (Scripts/mutant_switches.py writes such kernels). A device for CPUs compiles that
/// program once and then takes milliseconds a mutant.
struct MutantSweep {
  /// A mutant spoils at most so many processes: what it left behind is told from what it did.
  private static let damaged = ExitCode(3)

  /// Where the kernels look for the number of the mutant that is on; 0 is none.
  private let place: UnsafeMutablePointer<Int32>

  /// - Parameter address: beginning of a page that nothing else lies in.
  /// - Throws: `ValidationError` where it cannot be had.
  init(address: UInt) throws {
    let page = mmap(
      UnsafeMutableRawPointer(bitPattern: address), 4_096, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    guard let page, page != MAP_FAILED else {
      throw ValidationError("there is no memory to be had at \(address)")
    }
    place = page.bindMemory(to: Int32.self, capacity: 1)
  }

  /// Runs the cases with each mutant until one notices, and says which: lines `caught NUMBER CASE` and
  /// `survives NUMBER`, and before each case `running NUMBER CASE`.
  ///
  /// - Parameters:
  ///   - cases: a name with what says whether it misses.
  /// - Throws: exit status 3 where a case misses without any mutant, too: the process is not to be
  ///   trusted any more. Where the mutant was the first of this process it did that itself, and is
  ///   caught; otherwise an earlier one may have, and it is to be judged again by a new process.
  func run(
    _ mutants: [Int32], cases: [(name: String, misses: () -> Bool)], say: (String) -> Void
  ) throws {
    for (turn, mutant) in mutants.enumerated() {
      place.pointee = mutant
      let noticing = cases.first { subject in
        say("running \(mutant) \(subject.name)")
        return subject.misses()
      }
      place.pointee = 0
      guard let noticing else {
        say("survives \(mutant)")
        continue
      }
      let isWhole = !noticing.misses()
      if isWhole || turn == 0 { say("caught \(mutant) \(noticing.name)") }
      if !isWhole { throw Self.damaged }
    }
  }
}
