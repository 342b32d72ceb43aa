import Compute
import Networks
import Testing

@Suite struct NetworkTests {
  /// Counts that Keras's `model.count_params()` gives for the published networks.
  @Test(arguments: [Padding.same, .causal])
  func parameterCountsAreThoseOfThePublishedNetworks(padding: Padding) throws {
    let inception = try Network.inceptionSE(padding: padding)
    #expect(inception.parameterCount == 141_221)
    #expect(inception.trainableCount == 140_709)
    #expect(inception.dilatedPadding == padding)
    let semgNet = try Network.semgNet()
    #expect(semgNet.parameterCount == 807_109)
    #expect(semgNet.trainableCount == 805_189)
    #expect(semgNet.dilatedPadding == nil)
  }

  @Test func layersAreNamedAsKerasNamesThem() throws {
    let names = try Network.inceptionSE(padding: .causal).layers.map(\.name)
    #expect(names.contains("conv1d") && names.contains("conv1d_8"))
    #expect(names.contains("batch_normalization_7") && names.contains("multi_head_attention"))
    #expect(Set(names).count == names.count)
  }

  @Test func shapesFollowThePools() throws {
    let network = try Network.semgNet()
    let pooled = zip(network.layers, network.shapes).compactMap { layer, shape -> [Int]? in
      layer.kind is Layers.MaxPooling1D ? shape : nil
    }
    #expect(pooled == [[102, 128], [51, 256], [25, 512]])
  }

  @Test func layersThatDoNotFitAreRefusedWithTheLayersName() {
    #expect(
      throws: NetworkError.shape(
        layer: "add", expected: "inputs of one shape", found: [[8, 2], [8, 3]])
    ) {
      var net = NetworkBuilder()
      let x = net.append(Layers.Input(time: 8, channels: 2))
      let y = net.append(
        Layers.Conv1D(filters: 3, kernelSize: 1, dilation: 1, padding: .same, l2: 0), x)
      _ = net.append(Layers.Add(), x, y)
      _ = try net.build(name: "misfit")
    }
  }

  /// Keras 3: `keras.initializers.GlorotUniform` on a [64, 4, 64] kernel draws from ±0.0371.
  @Test func attentionKernelsAreDrawnWithinKerassLimits() throws {
    let network = try Network.inceptionSE(padding: .causal)
    let weights = NetworkWeights(initializing: network, seed: 7)
    let index = try #require(
      network.weights.firstIndex { $0.name == "multi_head_attention/query/kernel" })
    let largest = weights.values[index].map(abs).max() ?? 0
    #expect(largest < 0.0371306 && largest > 0.0371)
    let mean = weights.values[index].reduce(0, +) / Float(weights.values[index].count)
    #expect(abs(mean) < 0.001)
    #expect(NetworkWeights(initializing: network, seed: 7) == weights)
    #expect(NetworkWeights(initializing: network, seed: 8) != weights)
  }
}

@Suite struct NetworkPlanTests {
  @Test(arguments: [true, false])
  func everyGradientIsWrittenExactlyOnce(regularizes: Bool) throws {
    for network in [try Network.inceptionSE(padding: .causal), try Network.semgNet()] {
      let built = NetworkPlan(network, options: NetworkPlanOptions(regularizes: regularizes))
      let program = try #require(built.plan.programs[.forwardBackward])
      var writers: [TensorID: Int] = [:]
      for operation in program.operations {
        for id in operation.writes { writers[id, default: 0] += 1 }
      }
      for id in built.plan.tensors(role: .gradient) { #expect(writers[id] == 1) }
      #expect(built.gradients.count == network.weights.count { $0.isTrainable })
    }
  }

  /// Each operation reads only what an earlier one, the host or a lasting arena provides.
  @Test func nothingIsReadBeforeItIsWritten() throws {
    for network in [try Network.inceptionSE(padding: .same), try Network.semgNet()] {
      let built = NetworkPlan(network)
      for program in built.plan.programs.values where program.id != .update {
        var known = Set(program.inputs)
        for operation in program.operations {
          for id in operation.reads where built.plan[id].role == .activation {
            #expect(known.contains(id), "\(operation.name) reads \(built.plan[id].name)")
          }
          known.formUnion(operation.writes)
        }
        #expect(program.outputs.allSatisfy(known.contains))
      }
    }
  }

  @Test func decayedKernelsComeFirstInTheArena() throws {
    let network = try Network.inceptionSE(padding: .causal)
    let built = NetworkPlan(network)
    guard
      case .adam(let op)? = built.plan.programs[.update]?.operations.first
    else { Issue.record("the update is not an Adam"); return }
    #expect(op.settings.l2 == 1e-4)
    // Eight convolutions, eight dense kernels of squeeze-excitation, one dense layer.
    #expect(op.decayed == 17)
    let names = op.parameters.map { built.plan[$0].name }
    #expect(names.prefix(op.decayed).allSatisfy { $0.hasSuffix("/kernel") })
    #expect(names.contains("conv1d_2/kernel"))
    #expect(op.parameters == built.plan.tensors(role: .parameter))
  }

  @Test func predictionAllocatesNoGradientsOrMoments() throws {
    let plan = NetworkPlan(try Network.semgNet()).plan
    let layout = try ArenaLayout(plan: plan, programs: [.predict])
    #expect(layout.segments[.gradient] == nil)
    #expect(layout.segments[.firstMoment] == nil)
    #expect(layout.segments[.parameter] == [805_189 * 4])
    let training = try ArenaLayout(plan: plan, programs: [.forwardBackward, .update])
    let apart = try ArenaLayout(
      plan: plan, programs: [.forwardBackward, .update], reusesActivations: false)
    #expect(training.byteCount < apart.byteCount)
  }
}
