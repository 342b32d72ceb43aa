import ComputeCPU
import ComputeReference
import TestSupport
import Testing

/// Both networks, and some that somebody may draw, against Keras 3 in float64: predictions, losses, each gradient, moving statistics,
/// and three steps of training, with class weights, smoothing and mixed labels. At full width without
/// optimization they take minutes.
@Suite struct KerasNetworkTests {
  private static let cases = KerasNetwork.all.filter { $0.isSmall || runsSlowTests }

  @Test func everyNetworkIsThereSmallAndFull() {
    let kinds = Dictionary(grouping: KerasNetwork.all, by: \.kind).mapValues(\.count)
    #expect(
      kinds == ["inception-se": 4, "semg-net": 2, "pooled": 1, "branched": 2, "attended": 1])
    #expect(KerasNetwork.all.count { $0.isSmall } == 7)
  }

  @Test(arguments: cases)
  func theReferenceTrainsAndPredictsAsKerasDoes(network: KerasNetwork) throws {
    var run = try KerasNetworkRun(
      network, on: ReferenceDevice(), fuses: false, tolerance: .double)
    let differences = try run.run()
    #expect(differences.isEmpty, "\(differences)")
  }

  @Test(arguments: cases, [true, false])
  func theCPUTrainsAndPredictsAsKerasDoes(network: KerasNetwork, fuses: Bool) throws {
    var run = try KerasNetworkRun(
      network, on: CPUDevice(threads: 2), fuses: fuses, tolerance: .single)
    let differences = try run.run()
    #expect(differences.isEmpty, "\(differences)")
  }
}
